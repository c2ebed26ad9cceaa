"""A program in front of one model server that passes bytes on, and makes its predictions slow, failing or silent."""
