// swift-tools-version:5.9
import PackageDescription

let package = Package(
  name: "Client",
  platforms: [.macOS(.v13)],
  dependencies: [.package(url: "https://github.com/connectrpc/connect-swift", from: "1.0.0")],
  targets: [
    .executableTarget(name: "Client", dependencies: [.product(name: "Connect", package: "connect-swift")])
  ]
)
