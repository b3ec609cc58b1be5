"""The training of a ReID encoder: its data, loss, optimiser, schedule and validation."""

from collections.abc import Mapping

import torch
from torch import nn

from kprtrack.core.errors import UserError
from kprtrack.core.files.paths import expanded
from reid.datasets import ReidData, open_dataset
from reid.model import weights
from reid.model.initial_weights import begin_with
from reid.model.kpr import Kpr
from reid.training.config import DataSource, ReidTrainConfig, resume_relevant_config, settings_of
from reid.training.data import TrainingExamples, collate
from reid.training.distillation import Distillation
from reid.training.sampler import EpochSampler, IdentityBatches
from reid.training.schedule import learning_rate
from reid.training.train_step import TrainStep, new_optimiser
from reid.training.validation import score, validate_test_data


class ReidTask:
    """Trains a KPR encoder (a Task of kprtrack.training.task).

    Args:
        config: All settings.
        data: The training set; None: the one that the settings name.
        test: Query and gallery to validate on; None: those that the settings name, else those of `data`.
        resume: The weights come from a checkpoint, so that `config.init` is not read.

    Raises:
        UserError: Or one of its kinds, for everything that the user can fix.
    """

    def __init__(
        self,
        config: ReidTrainConfig,
        data: ReidData | None = None,
        *,
        test: ReidData | None = None,
        resume: bool = False,
    ) -> None:
        data = data or _open(config.data, "data")
        self._test = test or (_open(config.test, "test") if config.test else data)
        validate_test_data(self._test, config)
        self._config, self.seed = config, config.seed
        self.examples = TrainingExamples(data.train, config)
        self.collate = collate
        self.sampler = EpochSampler(
            IdentityBatches(self.examples.identities, config.sampler, seed=config.seed)
        )
        self.settings = settings_of(config)
        self.resume_fingerprint = resume_relevant_config(config) | {
            "training_set": self.examples.fingerprint()
        }
        torch.manual_seed(config.seed)
        self.network = Kpr(config.shape(len(self.examples.names), self.examples.cameras))
        if config.init and not resume:
            begin_with(self.network, config.init)
        self.train_step = TrainStep(self.network, config.loss, self._distillation())
        self.optimiser = new_optimiser(self.train_step, config.optimiser, config.schedule.peak)

    def begin_epoch(self, epoch: int) -> None:
        """Freeze or unfreeze the prompt tokeniser.

        Args:
            epoch: Its number, counted from 0.
        """
        frozen = epoch < self._config.frozen_prompt_epochs
        self.network.prompt_tokens.requires_grad_(not frozen)
        self.network.prompt_tokens.train(not frozen)

    def learning_rate(self, epochs: float) -> float:
        """Return the rate of a step, which changes between epochs only.

        Args:
            epochs: Epochs trained before the step, fractions included.

        Returns:
            The rate.
        """
        return learning_rate(int(epochs), self._config.schedule)

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Compute mAP and CMC by the protocol of the data set.

        Args:
            network: The encoder, in evaluation mode.

        Returns:
            `map` first, then the others, from 0 to 1.
        """
        assert isinstance(network, Kpr)
        return score(network, self._test, self._config)

    def weights_file(self, network: nn.Module) -> bytes:
        """Return the encoder as safetensors.

        Args:
            network: The encoder.

        Returns:
            The content of the file.
        """
        assert isinstance(network, Kpr)
        return weights.to_bytes(network)

    def _distillation(self) -> Distillation | None:
        features = self.examples.teacher_features
        if features is None:
            return None
        return Distillation(self.network.config, self._config.distil, features.shape[1])


def _open(source: DataSource, role: str) -> ReidData:
    if source.root is None:
        raise UserError(f"No folder of the dataset {source.name}. Set {role}.root=FOLDER.")
    return open_dataset(source.name, expanded(source.root), source.options)
