"""The door through which every plugin enters, ours included.

A plugin is a module with hook implementations; each returns specs whose `load` waits for a case::

    from plugins import ModalitySpec, hookimpl

    @hookimpl
    def dxtree_modalities():
        return [ModalitySpec(name="confocal", title="Reflectance confocal microscopy", load=load)]

    def load(request):
        import my_net
        return my_net.Model(request.partition)
"""

from plugins.api_version import API_VERSION
from plugins.hookspecs import hookimpl
from plugins.specs import (
    CohortSpec,
    FeatureSpec,
    FuserSpec,
    ModalitySpec,
    ModelRequest,
    ModelSetSpec,
    PreprocessorSpec,
    SegmenterSpec,
    TaxonomySpec,
)

__all__ = [
    "API_VERSION",
    "CohortSpec",
    "FeatureSpec",
    "FuserSpec",
    "ModalitySpec",
    "ModelRequest",
    "ModelSetSpec",
    "PreprocessorSpec",
    "SegmenterSpec",
    "TaxonomySpec",
    "hookimpl",
]
