"""The commands that pegboard_data adds; each is a module with ``add_arguments(parser)`` and ``run(arguments)``."""
