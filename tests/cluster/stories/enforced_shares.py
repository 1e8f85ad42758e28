# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Enforced shares in real containers: memory, GPU time, metrics, an agent that goes and comes."""

import contextlib
import os
import shutil
import subprocess

from harness import layout
from harness.shell import run
from harness.story import is_ready, metrics, restarts
from stories import gpu_programs
from stories.gpu_programs import SimulatedGpu, busy, pod
from stories.objects import config_map, namespace, time_slicing
from stories.walkthrough import AGENT, INSTALL, NAMESPACE, agent_pod, uninstall, user_types

NODE = "t4-x1"
ISOLATION = """\
    isolation:
      memory: share
      compute: fair
      quantum: 50ms
"""
# Where the simulated GPUs keep their state: the agent's driver has to know, as programs have.
VALUES = f""" --set devicePlugin.config.name=shares --set devicePlugin.config.default=any
 --set agent.env[0].name=ALIQUOT_SIM_STATE --set agent.env[0].value={gpu_programs.STATE}"""
LIBRARIES = "/usr/lib/x86_64-linux-gnu"

OK, OUT_OF_MEMORY = "0", "2"  # CUDA_SUCCESS, CUDA_ERROR_OUT_OF_MEMORY


def whole_memory():
    """MiB that a program sees that has the GPU for itself."""
    driver = layout.OUT / "sim/libcuda.so.1"
    said = run(gpu_programs.PROGRAMS["cuda"], "sizes",
               env={"ALIQUOT_SIM_NODE": NODE, "TEST_CUDA_LIBRARY": str(driver)})
    return int(said.split()[1])


def start(story, *pods):
    """Runs pods; returns them when they are ready."""
    story.apply(*pods)
    names = {one["metadata"]["name"] for one in pods}

    def ready():
        found = [one for one in story.pods("app=gpu-programs")
                 if one["metadata"]["name"] in names and is_ready(one)]
        return found if len(found) == len(names) else None

    return story.wait(f"pods {', '.join(sorted(names))}", ready)


def stop(story, *names):
    story.kubectl("delete", "pod", *names, "--grace-period=0", "--force")


def in_pod(story, name, *words):
    """What a program says that runs in the pod's container and ends by itself."""
    return story.kubectl("exec", name, "--", *words).split()


def allocate(story, name, mib):
    """The driver's answer to a new process in the pod that asks for so much memory."""
    return in_pod(story, name, "cuda", "hold", str(mib))[0]


@contextlib.contextmanager
def holding(story, name, mib):
    """A process in the pod that holds so much memory; yields it."""
    process = subprocess.Popen(
        ["kubectl", "--namespace", story.namespace, "exec", "-i", name, "--", "cuda", "hold",
         str(mib)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        story.expect(process.stdout.readline().strip() == OK, f"{mib} MiB for a process in {name}")
        yield process
    finally:
        process.stdin.close()
        process.wait(30)


def grants(story, name):
    """The agent's metrics of a pod's container: {} while it knows none, or is not there."""
    found = {}
    agents = story.running(AGENT)
    for row, value in (metrics(agents[0]) if agents else {}).items():
        metric, _, labels = row.partition("{")
        if metric.startswith("aliquot_grant_") and f'pod="{name}",container="main"' in labels:
            found[metric.removeprefix("aliquot_grant_")] = value
    return found


def mib(value):
    return int(value) >> 20


def sees_its_share(story, name, limit):
    device, total, free = map(int, in_pod(story, name, "cuda-and-nvml", "query", "0"))
    nvml_total = int(in_pod(story, name, "cuda-and-nvml", "nvml", "libnvidia-ml.so.1")[0])
    story.expect(device == total == nvml_total == limit,
                 f"{limit} MiB by every question, found {device}, {total}, NVML {nvml_total}")
    story.expect(0 < limit - free < 1024, f"all but a context to be free, found {free} MiB")
    return free


def is_limited(story, name, free, limit):
    # The process that was asked for `free` may just have ended.
    story.wait(f"{free - 64} MiB of {free} free", lambda: allocate(story, name, free - 64) == OK)
    answer = allocate(story, name, limit)
    story.expect(answer == OUT_OF_MEMORY, f"{limit} MiB beside a context to be refused with "
                 f"CUDA_ERROR_OUT_OF_MEMORY, found {answer}")


def install(story):
    with story.step("helm install, with shares of ten in the ConfigMap"):
        gpu_programs.make_image()
        shutil.rmtree(gpu_programs.STATE, ignore_errors=True)
        os.makedirs(gpu_programs.STATE)
        story.apply(namespace(NAMESPACE), config_map("shares", any=time_slicing(10) + ISOLATION))
        user_types(INSTALL + VALUES)
        story.wait_allocatable(10)
        story.wait("the agent to be ready", lambda: len(story.running(AGENT)) == 1)


def memory(story, whole):
    limit = whole * 3 // 10
    with story.step("3 of 10 replicas: three tenths of the memory, by CUDA and by NVML"):
        start(story, pod("three", 3))
        free = sees_its_share(story, "three", limit)

    with story.step("whatever path a program opens the driver by"):
        in_pod(story, "three", "cuda-and-nvml", "caught", "libcuda.so.1", "libcuda.so",
               f"{LIBRARIES}/libcuda.so.1")

    with story.step("beyond it CUDA_ERROR_OUT_OF_MEMORY, for all processes together"):
        is_limited(story, "three", free, limit)
        with holding(story, "three", free // 2):
            story.expect(allocate(story, "three", free // 2) == OUT_OF_MEMORY, "no second half")

            def told():  # once what just happened is in all of them
                known = grants(story, "three")
                held = known.get("memory_driver_bytes", 0)
                return known if known.get("sessions") == 1 and held > free // 2 << 20 and (
                    known["memory_charged_bytes"] >= held) else None

            known = story.wait("one process with its memory in the metrics", told)
        story.expect(mib(known["memory_limit_bytes"]) == limit, f"{limit} MiB in {known}")
        story.expect(known["denied_allocations_total"] >= 2
                     and abs(known["weight_ratio"] - 0.3) < 1e-9,
                     f"two denials and three tenths in {known}")
    return limit


def shares_of_time(story, gpu, pods, seconds=0.6):
    """Parts of the GPU's time that pods get, by the GPU's own account and by the agent's metrics."""
    names = [one["metadata"]["name"] for one in pods]

    def so_far():
        return gpu.seconds(pods), {name: grants(story, name).get("gpu_seconds_total", 0)
                                   for name in names}

    before = so_far()
    story.wait(f"{seconds} s of GPU time to pass", lambda: sum(gpu.seconds(pods).values())
               - sum(before[0].values()) >= seconds)
    after = so_far()
    for old, new in zip(before, after):
        part = {name: new[name] - old[name] for name in names}
        yield {name: part[name] / sum(part.values()) for name in names}


def divides(story, gpu, loads, promised, unmanaged):
    """Runs pods that all want the GPU, and looks at how it is divided. `loads`: name -> replicas and
    processes; `promised` to the first of them. The bounds are far from what there is without us."""
    pods = start(story, *(pod(name, replicas, busy(processes))
                          for name, (replicas, processes) in loads.items()))
    story.wait("all processes to work, and to be known", lambda: all(
        grants(story, name).get("sessions") == processes for name, (_, processes) in loads.items())
        and all(gpu.seconds(pods).values()))
    first = next(iter(loads))
    by_gpu, by_metrics = (parts[first] for parts in shares_of_time(story, gpu, pods))
    print(f"  GPU time of {first}: {by_gpu:.3f}, by the metrics {by_metrics:.3f}; "
          f"promised {promised:.3f}, without Aliquot {unmanaged}", flush=True)
    for found in (by_gpu, by_metrics):
        story.expect(abs(found - promised) < 0.15, f"about {promised:.3f}, found {found:.3f}")
    return pods


def gpu_time(story, gpu):
    with story.step("1 process against 3, 3 replicas each: halves of the time, not 1/4 and 3/4"):
        divides(story, gpu, {"single": (3, 1), "triple": (3, 3)}, 1 / 2, 0.25)
        stop(story, "single", "triple", "three")
    with story.step("3 replicas with 3 processes against 6 with 1: 1/3, not 3/4"):
        return divides(story, gpu, {"light": (3, 3), "heavy": (6, 1)}, 1 / 3, 0.75)


def restart_agent(story, gpu, pods, limit):
    with story.step("a new agent in place of the old one: nobody disturbed, everybody limited"):
        with holding(story, "light", 1000) as holder:
            story.wait("four processes", lambda: grants(story, "light").get("sessions") == 4)
            worked = gpu.seconds(pods)
            old = agent_pod(story)["metadata"]
            story.kubectl("delete", "pod", old["name"], "--wait=false")
            story.wait("the new agent", lambda: [
                one for one in story.running(AGENT) if one["metadata"]["uid"] != old["uid"]])

            def back():
                known = grants(story, "light")
                return known if known.get("sessions") == 4 and (
                    known["memory_charged_bytes"] >= 1000 << 20) else None

            known = story.wait("all four processes to be back, with what they hold", back)
            story.expect(mib(known["memory_limit_bytes"]) == limit, f"{limit} MiB in {known}")
            story.expect(holder.poll() is None, "the process to run on")
            answer = allocate(story, "light", limit - 1000)
            story.expect(answer == OUT_OF_MEMORY, f"the limit to hold, found {answer}")
        same = {one["metadata"]["uid"]: restarts(one) for one in story.pods("app=gpu-programs")}
        story.expect(same == {one["metadata"]["uid"]: 0 for one in pods},
                     f"the same pods, not restarted, found {same}")
        story.expect(all(gpu.seconds(pods)[name] > spent for name, spent in worked.items()),
                     "everybody to have worked on")
        by_gpu, _ = (parts["light"] for parts in shares_of_time(story, gpu, pods, 0.3))
        story.expect(abs(by_gpu - 1 / 3) < 0.15, f"a third again, found {by_gpu:.3f}")


def delete(story, whole):
    with story.step("pods deleted: nothing is charged, and the next ones have it all"):
        stop(story, "light", "heavy")
        story.wait("nothing to be charged", lambda: not any(
            grants(story, name).get("memory_charged_bytes", 0) for name in ("light", "heavy")))
        limit = whole * 9 // 10
        start(story, pod("next", 9))
        is_limited(story, "next", sees_its_share(story, "next", limit), limit)
        stop(story, "next")


def preload(story, limit):
    with story.step("without CDI: the same by /etc/ld.so.preload"):
        old = agent_pod(story)["metadata"]["uid"]
        user_types(INSTALL.replace("install", "upgrade", 1) + VALUES + " --set cdi.enabled=false")
        story.wait("the agent of the new values", lambda: [
            one for one in story.running(AGENT) if one["metadata"]["uid"] != old])
        story.wait_allocatable(10)
        # What the NVIDIA container runtime would do, which is not here.
        driver = [f"{LIBRARIES}/{name}" for name in ("libcuda.so.1", "libnvidia-ml.so.1")]
        start(story, pod("preloaded", 3, mounts=driver))
        is_limited(story, "preloaded", sees_its_share(story, "preloaded", limit), limit)
        in_pod(story, "preloaded", "cuda-and-nvml", "caught", "libcuda.so.1")
        stop(story, "preloaded")


def tell(story):
    story.namespace = NAMESPACE
    whole = whole_memory()
    install(story)
    limit = memory(story, whole)
    gpu = SimulatedGpu(NODE)
    pods = gpu_time(story, gpu)
    restart_agent(story, gpu, pods, limit)
    delete(story, whole)
    preload(story, limit)
    uninstall(story)
