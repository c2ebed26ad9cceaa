"""What an experiment starts and stops: predictors, router and load, as processes on free ports."""
