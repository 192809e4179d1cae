"""Diagnosis over HTTP: `POST /v1/diagnose` and what stands around it. Needs the extra `serve`."""

from dxtree.service.app import make_app
from dxtree.service.judging import Judge
from dxtree.service.keys import KeyRing
from dxtree.service.running import serve
from dxtree.service.settings import ServiceSettings

__all__ = ["Judge", "KeyRing", "ServiceSettings", "make_app", "serve"]
