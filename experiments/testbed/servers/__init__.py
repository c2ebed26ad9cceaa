"""Predictors as processes, the rig's own and users' model servers: how one is started, asked, measured, hurt."""
