"""Charts drawn as SVG, without a library."""
