"""What may one service take on? Limits of requests, of waiting and of time."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MIB = 1024 * 1024


class ServiceSettings(BaseModel):
    """Everything that decides how the service behaves beside its models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    """Address to listen on. Any but loopback needs `keys`, and `behind_proxy` or a certificate."""
    port: int = Field(default=8000, ge=0, le=65535)
    """0 takes a free one."""
    keys: Path | None = None
    """File of hashed API keys (`dxtree keys add`); `None`: no key is asked for."""
    behind_proxy: bool = False
    """A proxy that ends TLS stands in front, and its `X-Forwarded-For` names the client."""
    certificate: Path | None = None
    private_key: Path | None = None
    """PEM files of TLS, both or neither."""
    hosts: tuple[str, ...] = ()
    """Names under which clients reach the service beside localhost, as in the header `Host`."""
    page: bool = True
    """Answer browsers too: the page at `/`."""

    body_bytes: int = Field(default=32 * MIB, ge=1024)
    """Largest request."""
    bytes_in_flight: int = Field(default=256 * MIB, ge=1024)
    """Request bodies held in memory at a time; more are told to come again."""
    images: int = Field(default=16, ge=1, le=64)
    """Images of one case, frames of DICOM files included."""
    dicom_refuse: tuple[Literal["burned_in", "identified"], ...] = ()
    """Which DICOM files are refused: with text in the pixels, or no word that the identity was removed.
    Else a notice says so."""
    body_seconds: float = Field(default=15.0, gt=0)
    """By then a request's body must be here."""
    header_seconds: float = Field(default=10.0, gt=0)
    """By then its headers must be."""
    answer_seconds: float = Field(default=60.0, gt=0)
    """By then, waiting included, it is answered or told that it took too long."""
    connections: int = Field(default=1024, ge=1)
    """Requests at a time, from their headers to their answer; connections may be twice as many."""

    waiting: int = Field(default=32, ge=0)
    """Accepted requests that wait while every core is at work; one more is refused."""
    wait_seconds: float = Field(default=30.0, gt=0)
    """One that would wait longer, as long as the last ones took, is refused though there is a place."""
    waiting_per_client: int = Field(default=16, ge=1)
    """Accepted requests of one client (by key, else by address), at work ones included."""
    shutdown_seconds: float = Field(default=30.0, gt=0)
    """After SIGTERM what was accepted is answered within this time."""

    @property
    def is_loopback(self) -> bool:
        """Whether no other machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @model_validator(mode="after")
    def _is_guarded(self) -> ServiceSettings:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key go together; give both or neither")
        if self.is_loopback:
            return self
        if self.keys is None:
            raise ValueError("host: other machines could reach the service; give keys (dxtree keys add)")
        if not self.behind_proxy and self.certificate is None:
            raise ValueError(
                "host: keys and pictures would cross the network unencrypted; give certificate and "
                "private_key, or behind_proxy where a proxy ends TLS"
            )
        return self
