"""Layers: pure Equinox modules on one example, channels last; they know nothing of training."""

from populace.nn.attention.cached import CachedAttention, KeyValueCache
from populace.nn.attention.dot_product import attention
from populace.nn.attention.feature_maps import EluFeatures, FeatureMap, RandomFeatures, ReluFeatures
from populace.nn.attention.linear import LinearAttention, LinearState, linear_attention
from populace.nn.attention.low_rank import ProjectedAttention, low_rank_attention, rank_errors
from populace.nn.attention.multi_head import MultiHeadAttention
from populace.nn.attention.rotary import RotaryAttention, rotate
from populace.nn.conv.convolution import Conv, Conv1d, Conv2d, Conv3d, convolve
from populace.nn.conv.masked import MaskedConv, MaskedConv1d, MaskedConv2d
from populace.nn.conv.pooling import (
    AveragePool1d,
    AveragePool2d,
    AveragePool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    average_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
)
from populace.nn.conv.transposed import (
    ConvTranspose,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    convolve_transposed,
)
from populace.nn.conv.wavenet import WaveNet
from populace.nn.modules.batch_norm import BatchNorm
from populace.nn.modules.dropout import Dropout
from populace.nn.modules.group_norm import GroupNorm
from populace.nn.modules.residual import ResidualBlock, upsample
from populace.nn.modules.sequential import Sequential
from populace.nn.modules.time_embedding import sinusoidal
from populace.nn.parallel.decomposed import convolve_decomposed, gradient_decomposed
from populace.nn.parallel.halo import Exchange, Part, decompose, exchange
from populace.nn.primitives.buffer import Buffer, trainable
from populace.nn.pytorch.state_dict import from_torch
from populace.nn.recurrent.autoregressive import AutoregressiveWindow
from populace.nn.recurrent.layers import GRU, LSTM, Elman, LinearRecurrence, Recurrent

__all__ = [
    "GRU", "LSTM", "AutoregressiveWindow", "AveragePool1d", "AveragePool2d", "AveragePool3d", "BatchNorm",
    "Buffer", "CachedAttention", "Conv", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose", "ConvTranspose1d",
    "ConvTranspose2d", "ConvTranspose3d", "Dropout", "Elman", "EluFeatures", "Exchange", "FeatureMap",
    "GroupNorm", "KeyValueCache", "LinearAttention", "LinearRecurrence", "LinearState", "MaskedConv",
    "MaskedConv1d", "MaskedConv2d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MultiHeadAttention", "Part",
    "ProjectedAttention", "RandomFeatures", "Recurrent", "ReluFeatures", "ResidualBlock", "RotaryAttention",
    "Sequential", "WaveNet", "attention", "average_pool", "convolve", "convolve_decomposed",
    "convolve_transposed", "decompose", "exchange", "from_torch", "global_average_pool", "global_max_pool",
    "gradient_decomposed", "linear_attention", "low_rank_attention", "max_pool", "rank_errors", "rotate",
    "sinusoidal", "trainable", "upsample",
]  # fmt: skip
