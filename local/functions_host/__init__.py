"""A Functions host: runs the functions that an app registers, by their own bindings."""
