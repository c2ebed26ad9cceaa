"""What queueing theory predicts: Erlang B, the first failure by simulation, confidence intervals. No I/O."""
