"""How do images come over a DICOM network? Needs the extra `dicomnet`."""

from dxtree.dicomnet.inbox import Inbox
from dxtree.dicomnet.receiver import Bounds, Receiver

__all__ = ["Bounds", "Inbox", "Receiver"]
