"""The names of torchvision's datasets and transforms, read from its source."""

from pegboard import source

# Exported datasets that are not about classifying one image: detection, segmentation, captions, flow, stereo, video,
# pairs of faces, and the base classes.
NOT_CLASSIFICATION = {
    "CREStereo", "CarlaStereo", "Cityscapes", "CocoCaptions", "CocoDetection", "ETH3DStereo", "FallingThingsStereo",
    "Flickr30k", "Flickr8k", "FlyingChairs", "FlyingThings3D", "HD1K", "HMDB51", "InStereo2k", "Kinetics", "Kitti",
    "Kitti2012Stereo", "Kitti2015Stereo", "KittiFlow", "LFWPairs", "LSUNClass", "Middlebury2014Stereo", "MovingMNIST",
    "PhotoTour", "SBDataset", "SBU", "SceneFlowStereo", "Sintel", "SintelStereo", "UCF101", "VOCDetection",
    "VOCSegmentation", "VisionDataset", "WIDERFace",
}  # fmt: skip


def torchvision_datasets() -> dict[str, str]:
    """Every dataset of torchvision whose target is a class."""
    module = source.read("torchvision.datasets")
    names = module.exported if module else []
    return {
        name: f"torchvision.datasets:{name}" for name in names if name[0].isupper() and name not in NOT_CLASSIFICATION
    }


def torch_samplers() -> dict[str, str]:
    """The samplers of ``torch.utils.data`` that give one index at a time on one process."""
    module = source.read("torch.utils.data.sampler")
    others = {"Sampler", "BatchSampler"}
    return {name: f"torch.utils.data:{name}" for name in module.exported if name not in others} if module else {}


def torchvision_transforms() -> dict[str, str]:
    """Every public class of ``torchvision.transforms.v2`` but its abstract base."""
    module = source.read("torchvision.transforms.v2")
    names = [name for name, target in module.imports.items() if ".v2." in target] if module else []
    return {name: f"torchvision.transforms.v2:{name}" for name in names if name[0].isupper() and name != "Transform"}
