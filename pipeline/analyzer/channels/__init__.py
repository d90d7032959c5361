"""Where alerts go: each channel in a lane of its own: none waits for another."""
