"""The service's judge, lesion and client, for its page."""

from tests.dxtree.service.conftest import client, jpegs, judge

__all__ = ["client", "jpegs", "judge"]
