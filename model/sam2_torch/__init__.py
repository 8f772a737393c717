"""SAM 2 in PyTorch: image and video segmentation from clicks, boxes and masks.

Import what you need from the modules: `config`, `build`, `image_predictor`, `video_predictor`, `memory_bank`.
Importing this package alone does not import torch.
"""
