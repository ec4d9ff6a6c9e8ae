"""How trials are trained, saved and restored in each framework; each is imported only when it is used."""
