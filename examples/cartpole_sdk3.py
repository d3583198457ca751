"""CartPole with version 3 of the SageMaker Python SDK, which has ModelTrainer in place of Estimator.

On this machine, in the SDK's local container mode, with no AWS account and no store:

    python examples/cartpole_sdk3.py sagemaker-rllib:cpu

and the same on SageMaker, for some cents: an image that `scripts/push` has pushed, and an instance type.

    python examples/cartpole_sdk3.py "$(scripts/push)" --instance ml.c5.xlarge --role "$(scripts/role --create)"

It takes Python 3.11 with docker/requirements/sdk3.txt. Environments of your own are a channel:
`trainer.train([InputData(channel_name="code", data_source="examples/corridor")])`. A program of your own is the
trainer's `source_code=SourceCode(source_dir=…, entry_script="mine.py")`; the SDK runs it itself in this image, and then
takes no hyperparameters with a dot in their names.
"""

import argparse
import json
import os
import tarfile
import tempfile
from pathlib import Path

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # the SDK asks for one here too

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.local.local_session import LocalSession
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, StoppingCondition
from sagemaker.train.model_trainer import Mode

OBSERVATIONS = [[0.0, 0.0, -0.15, -0.5], [0.0, 0.0, 0.15, 0.5]]
"""Position of the cart, its velocity, angle of the pole, its angular velocity."""


def train_here(image, hyperparameters, folder):
    """Trains in a container on this machine; returns model.tar.gz."""
    trainer = ModelTrainer(
        training_mode=Mode.LOCAL_CONTAINER,
        training_image=image,
        compute=Compute(instance_type="local_cpu", instance_count=1),
        base_job_name="cartpole",
        hyperparameters=hyperparameters,
        local_container_root=str(folder),
    )
    trainer.train()
    return folder / "compressed_artifacts" / "model.tar.gz"


def ask_here(image, model, port):
    """Serves the model on this machine, asks it, and ends it: ModelBuilder's local mode knows no image of one's own."""
    session = LocalSession()
    session.config = {"local": {"serving_port": port}}
    sagemaker, runtime = session.sagemaker_client, session.sagemaker_runtime_client
    runtime.serving_port = port
    sagemaker.create_model("cartpole", {"Image": image, "ModelDataUrl": f"file://{model}", "Environment": {}})
    variant = {"ModelName": "cartpole", "InstanceType": "local", "InitialInstanceCount": 1, "VariantName": "all"}
    sagemaker.create_endpoint_config("cartpole", [variant])
    sagemaker.create_endpoint("cartpole", "cartpole")
    try:
        answer = runtime.invoke_endpoint(json.dumps(OBSERVATIONS), "cartpole", "application/json", "application/json")
        return json.loads(answer["Body"].read())
    finally:
        sagemaker.delete_endpoint("cartpole")


def train_there(image, hyperparameters, instance, role, session):
    """Trains on SageMaker; returns where its model.tar.gz is."""
    trainer = ModelTrainer(
        sagemaker_session=session,
        role=role,
        training_image=image,
        compute=Compute(instance_type=instance, instance_count=1),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=3600),
        base_job_name="cartpole",
        hyperparameters=hyperparameters,
    )
    trainer.train()
    return trainer._latest_training_job.model_artifacts.s3_model_artifacts


def ask_there(image, model, role, session):
    """Deploys the model to an endpoint of SageMaker, asks it, and deletes what costs money."""
    builder = ModelBuilder(image_uri=image, s3_model_data_url=model, role_arn=role, sagemaker_session=session)
    builder.build()
    endpoint = builder.deploy(instance_type="ml.m5.large", initial_instance_count=1)
    try:
        answer = endpoint.invoke(json.dumps(OBSERVATIONS), content_type="application/json")
        return json.loads(answer.body.read())
    finally:
        endpoint.delete()


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("image")
parser.add_argument("--instance", default="local", help="an instance type of SageMaker's; default: this machine")
parser.add_argument("--role", help="that the job and the endpoint run as, on SageMaker")
parser.add_argument("--iterations", type=int, default=25, help="of training; PPO solves CartPole in about as many")
parser.add_argument("--port", type=int, default=8080, help="of the endpoint on this machine")
parser.add_argument("--folder", type=Path, help="for the job's files on this machine; default: a new one")
options = parser.parse_args()

hyperparameters = {
    "experiment": "cartpole",
    "rl.training.stop.training_iteration": options.iterations,
    "rl.training.config.min_iter_time_s": 0,
    "seed": 1,
}
if options.instance == "local":
    folder = options.folder or Path(tempfile.mkdtemp(prefix="cartpole-"))
    model = train_here(options.image, hyperparameters, folder)
    with tarfile.open(model) as archive:
        print("\n".join(sorted(archive.getnames())))
    answer = ask_here(options.image, model, options.port)
else:
    session = Session()
    model = train_there(options.image, hyperparameters, options.instance, options.role, session)
    answer = ask_there(options.image, model, options.role, session)
print("model", model)
for observation, action in zip(OBSERVATIONS, answer["outputs"]["actions_0"]):
    print(f"{observation} → {('left', 'right')[action]}")
