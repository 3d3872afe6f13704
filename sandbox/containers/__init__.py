"""The docker box: programs in containers of any image, through a container engine."""

from sandbox.containers.docker_box import DEFAULT_IMAGE, DockerBox

__all__ = ["DEFAULT_IMAGE", "DockerBox"]
