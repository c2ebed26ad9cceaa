"""What an experiment leaves: the files of a run folder, and what is computed of any of them."""
