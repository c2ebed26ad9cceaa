"""What an experiment keeps: the files of a run folder, and what is computed of any of them."""
