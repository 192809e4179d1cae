"""Does the plugin keep every promise? New ones come with dxtree."""

from plugins.conformance import PluginContract


class TestFundus(PluginContract):
    plugin = "dxtree-fundus:fundus"
    models = "fundus-demonstration"
