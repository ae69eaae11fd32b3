"""What the local page and the endpoint share: who may ask, how a port is served, limits of what is sent."""
