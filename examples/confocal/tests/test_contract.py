"""Does the plugin keep every promise? New ones come with dxtree."""

from plugins.conformance import PluginContract


class TestConfocalFrame(PluginContract):
    plugin = "dxtree-confocal-frame:confocal_frame"
