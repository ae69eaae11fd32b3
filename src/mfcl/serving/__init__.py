"""An HTTP endpoint: a file in, its embedding, class and voice out."""
