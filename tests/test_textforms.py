"""Contractions of IAM's lines.txt."""

from __future__ import annotations

import pytest

from recognizer.textforms import join_contractions


@pytest.mark.parametrize(("tokenised", "joined"), [
    ("I 'll , he 'd 've", "I'll , he'd've"),
    ("IT 'S JOHN 'S .", "IT'S JOHN'S ."),
    ("' said he ' 'so 'tis", "' said he ' 'so 'tis"),
    ("don 't 's", "don't's"),
    ("'s", "'s"),
])
def test_only_the_listed_endings_are_joined(tokenised, joined):
    assert join_contractions(tokenised) == joined
    assert join_contractions(joined) == joined
