"""The page of the service, for people at a browser: `add_page`. Needs the extra `serve`."""

from dxtree.page.routes import add_page

__all__ = ["add_page"]
