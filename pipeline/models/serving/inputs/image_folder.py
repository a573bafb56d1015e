"""New images, decoded as those of training."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.data.readers import images
from pipeline.data.readers.folders import Unreadable
from pipeline.data.readers.images import SUFFIXES, ImageForm
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.models.serving.decoding import fits_shape
from pipeline.models.serving.description import ModelDescription
from pipeline.models.serving.inputs import NewData, refuse_model
from pipeline.models.serving.inputs.files import find_files, open_files
from pipeline.settings.data import ImageFolder


def open_new_data(
    data: ImageFolder, description: ModelDescription, scratch: ScratchSpace, findings: Findings
) -> NewData:
    """Open images.

    Raises:
        DataMissing, BadData: as `find_files`.
        BadModel: the model was not trained on images as files have them.
    """
    form = description.images
    if form is None:
        takes = f"arrays of shape {description.shape} that no file of an image has"
        refuse_model(data, takes if description.front is None else "something else")
    if form.size is None and data.size is not None:
        form = replace(form, size=(data.size[0], data.size[1]))
    files = find_files(data.path, SUFFIXES, description.classes, scratch, findings)
    decode = partial(_decode, form=form, shape=description.shape, findings=findings)
    return open_files(files, decode, findings)


def _decode(path: Path, form: ImageForm, shape: tuple[int, ...], findings: Findings) -> list[np.ndarray]:
    array = images.decode_image(path, form, lambda note: findings.add("image", note, path.name))
    if not fits_shape(array.shape, shape):
        size, model_size = (f"{height}x{width}" for height, width, *_ in (array.shape, shape))
        raise Unreadable(
            f"{size} where the model takes {model_size} (height x width); data.size=[...] scales"
        )
    return [array.reshape(shape)]
