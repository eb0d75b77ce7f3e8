"""The commands of ``hqtrack``, one module each: ``add_arguments(parser)`` and ``run(args)``."""
