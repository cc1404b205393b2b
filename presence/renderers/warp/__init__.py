"""The built-in renderer "2D warp": one portrait that talks; it knows no other picture of the face than this one."""

from presence.renderers.warp.renderer import WarpRenderer

__all__ = ["WarpRenderer"]
