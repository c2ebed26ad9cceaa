"""The answer: which deployment to take, how many predictors, and what it costs a year. It starts no process."""
