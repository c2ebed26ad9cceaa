"""How a result is shown: pages, charts, tables and sentences that every experiment makes in the same way."""
