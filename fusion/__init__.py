"""Evidence of any subset of modalities, and whatever is known of the patient, to one distribution.

`fusion.plugin` offers the fusers, `fusion.training.fit_fuser` fits one, and a fuser's own module says how it
thinks. Importing this package imports none of them.
"""
