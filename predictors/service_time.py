"""How long a prediction takes, apart from the inference: always the same, or longer for a larger input. No waiting."""

from dataclasses import dataclass

BYTES_PER_MB = 1_000_000


@dataclass(frozen=True)
class ServiceTime:
    """The time for which a request holds its slot before the real inference."""

    fixed_s: float
    """Seconds that every request takes."""
    per_mb_s: float = 0.0
    """Seconds more for each megabyte (1,000,000 bytes) of its body."""

    def of(self, body_bytes: int) -> float:
        """For a body of so many bytes, in seconds."""
        return self.fixed_s + self.per_mb_s * body_bytes / BYTES_PER_MB
