"""The one exception for mistakes that the user can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Says in one sentence what was given, what was expected and what to do.

    The command line and the recipes print the sentence without a traceback and end with exit code 2.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """How a sentence about a misspelt name ends: ``"; did you mean 'sigma'?"``, or ``"."`` when nothing is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else "."
