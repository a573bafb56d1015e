"""New arrays in an IDX file, or the test files of a folder of them."""

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.sources import idx
from pipeline.errors import DataMissing
from pipeline.files import expand_home
from pipeline.models.serving.description import ModelDescription
from pipeline.models.serving.inputs import NewData
from pipeline.models.serving.inputs.arrays import open_array
from pipeline.settings.data import Idx


def open_new_data(
    data: Idx, description: ModelDescription, _scratch: ScratchSpace, findings: Findings
) -> NewData:
    """Open a file of images, or `data.test_images` (and labels, where they are there) of a folder.

    Raises:
        DataMissing, BadData: there is no such file, or it is damaged.
        BadModel: the model answers to no arrays.
    """
    path = expand_home(data.path)
    if path.is_file():
        return open_array(data, idx.read_array(path), None, description, findings)
    images = idx.read_array(idx.find_file(path, data.test_images))
    try:
        labels = idx.read_array(idx.find_file(path, data.test_labels))
    except DataMissing:
        labels = None
    return open_array(data, images, labels, description, findings)
