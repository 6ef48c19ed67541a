"""The Accelerate loop and everything a run needs."""
