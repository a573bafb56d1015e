"""Which epoch's weights count: the last one's, or those of one before that did better on the validation rows.

A network that fits the noise of its rows has its least validation loss early, and then knows fewer validation
rows. Where it is only too sure of itself its loss rises, too, but it knows as many or more: then the last
weights count.
"""

from dataclasses import replace

from pipeline.measures import Curve, Epoch
from pipeline.settings.training import Keep, Train


def is_better(epoch: Epoch, best: Epoch, train: Train) -> bool:
    """Return whether the weights of an epoch are kept, and no longer those of the best one before it."""
    if train.patience:
        return epoch.validation_accuracy > best.validation_accuracy
    return train.keep is Keep.last or epoch.validation_loss < best.validation_loss


def choose_epoch(best: Epoch, last: Epoch, train: Train) -> Epoch:
    """Return the epoch whose weights count. `best`: as `is_better` found it up to the `last` one."""
    is_least = train.keep is Keep.least_loss
    return last if is_least and best.validation_accuracy <= last.validation_accuracy else best


def raise_to_kept(curve: Curve, train: Train) -> Curve:
    """Return the curve with the accuracy of the weights that count after each epoch, not its own."""
    best, epochs = curve.epochs[0], list[Epoch]()
    for epoch in curve.epochs:
        best = epoch if is_better(epoch, best, train) else best
        chosen = choose_epoch(best, epoch, train)
        epochs.append(replace(epoch, validation_accuracy=chosen.validation_accuracy))
    return replace(curve, epochs=tuple(epochs))
