"""Small video files to read."""

from fractions import Fraction

import av
import numpy as np


def pictures(count, height=32, width=48):
    """Frames that can be told apart: frame k has a bright stripe at row 4 * k, and a mark."""
    frames = np.full((count, height, width, 3), 40, np.uint8)
    for index, frame in enumerate(frames):
        frame[4 * index % height : 4 * index % height + 4] = 220
        frame[:8, :8] = (250, 20, 20)
    return list(frames)


def write_video(path, frames, rate=10, codec="libx264"):
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options={"crf": "5"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
    return path


def write_burst(path, count, seconds=0.01):
    """Frames that follow each other faster than the rate in the file says, which is 2."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(2), options={"crf": "5"})
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, frame in enumerate(pictures(count)):
            video_frame = av.VideoFrame.from_ndarray(frame, "rgb24")
            video_frame.pts = round(1000 * seconds * index)
            video_frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(video_frame))
        container.mux(stream.encode(None))
    return path


def read_video(path):
    """Its frames and the second at which each is shown."""
    with av.open(path) as container:
        decoded = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode()]
    return [picture for picture, _ in decoded], [second for _, second in decoded]


def write_at(path, frames, times):
    """A video whose frames are shown at these times, in hundredths of a second."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "5"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        for frame, time in zip(frames, times, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, "rgb24")
            picture.pts, picture.time_base = time, Fraction(1, 100)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def write_damaged(path, frames, damaged, rate=10):
    """A video in Motion JPEG in which the frames with these numbers, from 1 on, are not JPEGs."""
    with av.open(path, "w") as container:
        stream = container.add_stream("mjpeg", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p"
        for number, frame in enumerate(frames, start=1):
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")):
                content = bytes(packet)
                if number in damaged:
                    content = content[:2] + bytes(len(content) - 2)
                written = av.Packet(content)
                written.stream, written.time_base = stream, packet.time_base
                written.pts, written.dts = packet.pts, packet.dts
                container.mux(written)
    return path


def write_song(path, cover):
    """A second of silence with a cover picture."""
    with av.open(path, "w") as container:
        sound = container.add_stream("libmp3lame", rate=44100)
        picture = container.add_stream("png", rate=1)
        picture.height, picture.width = cover.shape[:2]
        picture.pix_fmt = "rgb24"
        picture.disposition = av.stream.Disposition.attached_pic
        container.mux(picture.encode(av.VideoFrame.from_ndarray(cover, "rgb24")))
        silence = np.zeros((1, 1152 * 2), np.int16)
        for _ in range(38):
            frame = av.AudioFrame.from_ndarray(silence, "s16", "stereo")
            frame.rate = 44100
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path
