"""Does it help to train on fine classes? An experiment: arms, folds, one split, one table, one report."""
