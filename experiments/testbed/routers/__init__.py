"""Routers that users have, in the place of the rig's own: what one is, its configuration, its process."""
