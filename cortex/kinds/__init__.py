"""The node kinds that are torch modules, by subject; layers.py has them all."""
