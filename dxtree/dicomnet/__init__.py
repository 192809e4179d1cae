"""How do images come over a DICOM network? Needs the extra `dicomnet`."""

from dxtree.dicomnet.inbox import Inbox
from dxtree.dicomnet.receiver import Bounds, Receiver
from dxtree.dicomnet.web import DicomWeb

__all__ = ["Bounds", "DicomWeb", "Inbox", "Receiver"]
