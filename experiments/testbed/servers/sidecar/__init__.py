"""A program in front of one model server that passes bytes on, and breaks its predictions as it is told."""
