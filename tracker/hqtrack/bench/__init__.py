"""What a frame costs: the pipeline with stand-in weights, measurements, and their record."""
