"""Image classifiers of timm, of which both networks use the features."""
