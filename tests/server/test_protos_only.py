"""A client made from the protos alone: the generated messages, grpc and numpy."""

from __future__ import annotations

import subprocess
import sys

CLIENT = """
import sys
import grpc
import numpy as np
from gaitid.v1 import camera_service_pb2 as camera, camera_service_pb2_grpc as cameras
from gaitid.v1 import gallery_service_pb2 as gallery, gallery_service_pb2_grpc as galleries
from gaitid.v1 import match_service_pb2 as match, match_service_pb2_grpc as matches
from gaitid.v1 import sequence_pb2 as sequence
from gaitid.v1 import subject_service_pb2 as subject, subject_service_pb2_grpc as subjects


def walk(seed, name=""):
    random = np.random.default_rng(seed)
    frames = (random.random((1, 64 * 44)) < 0.5) ^ (random.random((20, 64 * 44)) < 0.05)
    data = np.packbits(frames, axis=1).tobytes()
    silhouettes = sequence.SilhouetteStream(frames=20, height=64, width=44, packing=1, data=data)
    times = [frame / 25 for frame in range(20)]
    made = sequence.GaitSequence(silhouettes=silhouettes, times_s=times, camera=name)
    return sequence.Probe(sequence=made)


with grpc.insecure_channel(sys.argv[1]) as channel:
    galleries.GalleryServiceStub(channel).CreateGallery(gallery.CreateGalleryRequest(gallery="home"))
    enrol = subject.EnrolRequest(gallery="home", subject="ada", samples=[walk(9)])
    subjects.SubjectServiceStub(channel).Enrol(enrol)
    stub = cameras.CameraServiceStub(channel)

    def upload():
        yield camera.LearnCameraRequest(gallery="home", camera="gate-3", direction="left")
        for seed in range(4):
            yield camera.LearnCameraRequest(walks=[walk(seed)])
        yield camera.LearnCameraRequest(last=True)

    print(stub.LearnCamera(upload(), timeout=30).profile.version)
    for profile in stub.ListCameras(camera.ListCamerasRequest(gallery="home")).profiles:
        print(profile.camera, profile.direction, profile.walks)
    request = match.IdentifyRequest(gallery="home", probe=walk(9, "gate-3"))
    print(matches.MatchServiceStub(channel).Identify(request).decision.profile_version)
    print(stub.ForgetCamera(camera.ForgetCameraRequest(gallery="home", camera="gate-3")).profiles)
print(sorted(name for name in sys.modules if name.startswith("gaitid.") and not name.startswith("gaitid.v1")))
"""


def test_the_camera_rpcs_need_nothing_but_the_protos(address):
    command = [sys.executable, "-c", CLIENT, address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["1", "gate-3 left 4", "1", "1", "[]"]
