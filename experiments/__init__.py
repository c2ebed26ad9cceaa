"""Experiments on the rig: they start its programs as processes, record what happens, and report on the records."""
