"""The commands that pegboard_visual adds; each is a module with ``add_arguments(parser)`` and ``run(arguments)``."""
